"""Test the service's /docs and the pictures of the READMEs in a browser."""

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import element_to_be_clickable, presence_of_element_located
from selenium.webdriver.support.wait import WebDriverWait

from embedded_aws import EmbeddedAws
from scripts.projects import CHOICES, TEMPLATE
from tests.support.bake import Bake
from tests.support.browser import chromium, set_theme
from tests.support.deploy_tool import DeployTool, push_image

PREDICT = "#operations-predict-predict_predict_post"  # Swagger UI derives it from the tag and the ID of the operation
PICTURES = sorted(
    file.relative_to(TEMPLATE).as_posix()
    for folder in ("docs", "benchmarks/results")
    for file in TEMPLATE.glob(f"{folder}/*.svg")
)
# Return the texts that exceed the picture or overlap another text.
FLAWS = """
const root = document.documentElement, picture = root.getBoundingClientRect();
const texts = [...root.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
const outside = texts.filter(([, r]) => r.left < picture.left || r.right > picture.right || r.bottom > picture.bottom);
const overlapping = texts.filter(([, a], i) => texts.slice(0, i).some(([, b]) =>
  a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3));
return [...outside, ...overlapping].map(([text]) => text);
"""
COLORS = "return [...document.querySelectorAll('text')].map(t => getComputedStyle(t).fill)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium() as browser:
        yield browser


@pytest.mark.parametrize("endpoint", CHOICES["endpoint"])
def test_a_request_can_be_sent_from_the_docs(bake: Bake, browser: Chrome, endpoint: str) -> None:
    project = bake(endpoint=endpoint)
    with EmbeddedAws() as aws:
        deployed = DeployTool(project, aws)("--image", push_image(project, aws))
        assert deployed.code == 0, deployed.err
        browser.get(f"{deployed.url}docs")

        def click(selector: str) -> None:
            WebDriverWait(browser, 30).until(element_to_be_clickable((By.CSS_SELECTOR, selector))).click()

        def text(selector: str) -> str:
            return WebDriverWait(browser, 30).until(presence_of_element_located((By.CSS_SELECTOR, selector))).text

        click(f"{PREDICT} .opblock-summary-control")
        click(f"{PREDICT} .try-out__btn")
        click(f"{PREDICT} .execute")
        assert text(f"{PREDICT} .live-responses-table tr.response .response-col_status").startswith("200")
        assert '"species"' in text(f"{PREDICT} .live-responses-table tr.response .response-col_description")
        assert text(f"{PREDICT} .request-url") == f"Request URL\n{deployed.url}predict"
        assert text(".info .title").startswith("My API")


def test_pictures_are_readable_on_light_and_dark_pages(browser: Chrome) -> None:
    assert len(PICTURES) > 2
    for picture in PICTURES:
        browser.get((TEMPLATE / picture).as_uri())
        assert browser.execute_script(FLAWS) == [], picture
        colors = []
        for theme in ("light", "dark"):
            set_theme(browser, theme)
            colors.append(browser.execute_script(COLORS))
        assert all(light != dark for light, dark in zip(*colors, strict=True)), picture
