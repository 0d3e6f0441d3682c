from tests.factories import order


def test_orders_until_out_of_stock(client):
    assert [client.post("/orders", json=order()).status_code for _ in range(3)] == [202, 202, 409]


def test_an_invalid_order_is_a_problem(client):
    response = client.post("/orders", json=order(amount="many"))
    assert (response.status_code, response.json()["errors"]) == (400, ["body.amount"])
