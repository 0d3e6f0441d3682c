from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver

app = LambdaFunctionUrlResolver()


@app.get("/")
def root():
    return {"ok": True}


def handler(event, context):
    return app.resolve(event, context)
