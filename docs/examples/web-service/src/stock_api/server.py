"""The API, and the command that serves it: `stock-api --port 8000` or `stock-api --uds /run/stock.sock`."""

import argparse
import json
from importlib.resources import files

import uvicorn
from fastapi import FastAPI, HTTPException

app = FastAPI(title="Stock")
stock: dict[str, int] = json.loads(files("stock_api").joinpath("stock.json").read_text())


@app.get("/parts/{name}")
def part(name: str) -> dict[str, int | str]:
    if name not in stock:
        raise HTTPException(404, f"no part is called {name}")
    return {"name": name, "count": stock[name]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="stock-api")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--uds", help="a Unix socket instead of a port")
    options = parser.parse_args()
    uvicorn.run(app, port=options.port, uds=options.uds)
