"""The Lambda handler. Lambda imports this module once per execution environment, during INIT."""

{% if cookiecutter.cold_starts == 'snapstart' %}
from aws_lambda.cold_start import faster_imports
{% else %}
from aws_lambda.cold_start import faster_imports, lazy_imports
{% endif %}

with faster_imports():
    from mangum import Mangum

    from aws_lambda.access_log import AccessLog
    from aws_lambda.docs import hide_docs
    from aws_lambda.errors import add_error_handlers
    from aws_lambda.http_adapter import TEXT_MIME_TYPES, HttpEvent
    from aws_lambda.lifespan import Lifespan, use_event_loop
{% if cookiecutter.cold_starts == 'snapstart' %}
    from aws_lambda.restore import explain_import_errors, on_restore, prepare_secrets
{% endif %}
    from aws_lambda.secrets import load_secrets
{% if cookiecutter.cold_starts != 'accept' %}
    from aws_lambda.warm_up import warm_up
{% endif %}

{% if cookiecutter.cold_starts == 'snapstart' %}
    prepare_secrets()
    on_restore(load_secrets)  # after the restore, because a snapshot must not contain secrets
    with explain_import_errors():
        from aws_lambda.application import app
{% else %}
    load_secrets()  # before the application is imported, so that any settings library can read them
    from aws_lambda.application import app
{% endif %}

hide_docs(app)
add_error_handlers(app)
lifespan = Lifespan(app)
access_log = AccessLog(lifespan)
use_event_loop()  # otherwise Mangum would create a loop of its own
handler = Mangum(
    access_log,
    lifespan="off",  # Mangum would start and stop the application for each request; Lifespan starts it once
    custom_handlers=[HttpEvent],
    text_mime_types=TEXT_MIME_TYPES,
)
{% if cookiecutter.cold_starts == 'snapstart' %}
warm_up(handler)
access_log.cold_start = True  # for the first request after a restore
on_restore(lifespan.start)
{% else %}
with lazy_imports():
    lifespan.start()
{% endif %}
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
warm_up(handler)
{% endif %}
