from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.get("/")
def root():
    return {"ok": True}


handler = Mangum(app, lifespan="off")
