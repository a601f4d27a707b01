"""What applications written with Flask commonly do."""
from flask import Flask, Response, jsonify, make_response, request

app = Flask(__name__)


@app.get("/items/")
def items():
    return jsonify([{"name": "上海"}])


@app.post("/items/")
def add():
    return jsonify(request.get_json())


@app.get("/text")
def text():
    return Response("Grüße " * 500, mimetype="text/plain")


@app.post("/upload")
def upload():
    file = request.files["file"]
    return jsonify({"name": file.filename, "length": len(file.read())})


@app.get("/events")
def events():
    return Response((f"data: {i}\n\n" for i in range(20)), mimetype="text/event-stream")


@app.get("/cookies")
def cookies():
    response = make_response("ok")
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", httponly=True)
    return response


@app.get("/disposition")
def disposition():
    return Response("ok", headers={"content-disposition": "attachment; filename=\"Müller.pdf\""})


@app.get("/nothing")
def nothing():
    return "", 204
