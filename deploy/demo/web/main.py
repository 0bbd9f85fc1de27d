"""The demo's web application: a few items behind a small API."""

from fastapi import FastAPI, HTTPException

app = FastAPI(title="jars")

ITEMS = {1: "amphora", 2: "pithos", 3: "lantern"}


@app.get("/")
def index() -> dict:
    return {"items": len(ITEMS)}


@app.get("/health")
def health() -> dict:
    return {"status": "ok"}


@app.get("/items/{id}")
def item(id: int) -> dict:
    if id not in ITEMS:
        raise HTTPException(status_code=404, detail=f"no item {id}")
    return {"id": id, "name": ITEMS[id]}
