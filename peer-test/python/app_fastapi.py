"""What applications written with FastAPI commonly do."""
from fastapi import FastAPI, Request, UploadFile
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from starlette.middleware.gzip import GZipMiddleware

app = FastAPI()
app.add_middleware(GZipMiddleware, minimum_size=100)


@app.get("/items/")
def items():
    return [{"name": "上海"}]


@app.post("/items/")
async def add(request: Request):
    return await request.json()


@app.get("/text")
def text():
    return PlainTextResponse("Grüße " * 500)


@app.post("/upload")
async def upload(file: UploadFile):
    return {"name": file.filename, "length": len(await file.read())}


@app.get("/events")
def events():
    return StreamingResponse((f"data: {i}\n\n" for i in range(20)), media_type="text/event-stream")


@app.get("/cookies")
def cookies():
    response = PlainTextResponse("ok")
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", httponly=True)
    return response


@app.get("/disposition")
def disposition():
    return Response("ok", headers={"content-disposition": "attachment; filename=\"" + "Müller.pdf" + "\""})


@app.get("/nothing", status_code=204)
def nothing():
    return Response(status_code=204)
