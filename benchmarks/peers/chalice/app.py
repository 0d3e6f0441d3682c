from chalice import Chalice

app = Chalice(app_name="benchmark")


@app.route("/")
def root():
    return {"ok": True}
