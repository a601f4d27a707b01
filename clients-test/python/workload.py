"""A workload with APIs in the shapes of OpenAI and Anthropic, under uvicorn. Prints its port, then serves until it is ended."""
import asyncio
import hashlib
import json
import socket

import embedder
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


def answer_to(messages):
    """Words that depend on the question, so that no answer is another's."""
    question = messages[-1]['content']
    return [f'{word} ' for word in f'You asked: {question}'.split()]


async def events(parts, name=None):
    for part in parts:
        yield (f'event: {part["type"]}\n' if name else '') + f'data: {json.dumps(part)}\n\n'
        await asyncio.sleep(0.01)
    if not name:
        yield 'data: [DONE]\n\n'


async def chat(request):
    body = await request.json()
    words = answer_to(body['messages'])
    usage = {'prompt_tokens': 7, 'completion_tokens': len(words), 'total_tokens': 7 + len(words)}
    base = {'id': 'chatcmpl-1', 'created': 1, 'model': body['model']}
    if not body.get('stream'):
        message = {'role': 'assistant', 'content': ''.join(words)}
        choice = {'index': 0, 'message': message, 'finish_reason': 'stop'}
        return JSONResponse({**base, 'object': 'chat.completion', 'choices': [choice], 'usage': usage})
    chunk = lambda delta, reason: {**base, 'object': 'chat.completion.chunk',
                                   'choices': [{'index': 0, 'delta': delta, 'finish_reason': reason}]}
    parts = [chunk({'content': word}, None) for word in words] + [chunk({}, 'stop')]
    return StreamingResponse(events(parts), media_type='text/event-stream')


async def messages(request):
    body = await request.json()
    words = answer_to(body['messages'])
    message = {'id': 'msg_1', 'type': 'message', 'role': 'assistant', 'model': body['model'], 'stop_reason': None,
               'stop_sequence': None, 'usage': {'input_tokens': 7, 'output_tokens': len(words)}}
    if not body.get('stream'):
        return JSONResponse({**message, 'stop_reason': 'end_turn', 'content': [{'type': 'text', 'text': ''.join(words)}]})
    parts = [
        {'type': 'message_start', 'message': {**message, 'content': []}},
        {'type': 'content_block_start', 'index': 0, 'content_block': {'type': 'text', 'text': ''}},
        *({'type': 'content_block_delta', 'index': 0, 'delta': {'type': 'text_delta', 'text': word}} for word in words),
        {'type': 'content_block_stop', 'index': 0},
        {'type': 'message_delta', 'delta': {'stop_reason': 'end_turn', 'stop_sequence': None}, 'usage': {'output_tokens': len(words)}},
        {'type': 'message_stop'}
    ]
    return StreamingResponse(events(parts, name=True), media_type='text/event-stream')


async def embeddings(request):
    body = await request.json()
    texts = [body['input']] if isinstance(body['input'], str) else body['input']
    data = [{'object': 'embedding', 'index': i, 'embedding': embedder.embed(text)} for i, text in enumerate(texts)]
    return JSONResponse({'object': 'list', 'model': body['model'], 'data': data, 'usage': {'prompt_tokens': 7, 'total_tokens': 7}})


async def files(request):
    form = await request.form()
    upload = form['file']
    content = await upload.read()
    return JSONResponse({'id': f'file-{hashlib.sha256(content).hexdigest()}', 'object': 'file', 'bytes': len(content), 'created_at': 1,
                         'filename': upload.filename, 'purpose': form['purpose'], 'status': 'processed'})


async def echo(request):
    """The body as it came, and whether the caller's credential came along."""
    return Response(await request.body(), headers={'x-method': request.method, 'x-authorization': request.headers.get('authorization', '')})


app = Starlette(routes=[
    Route('/v1/chat/completions', chat, methods=['POST']),
    Route('/v1/messages', messages, methods=['POST']),
    Route('/v1/embeddings', embeddings, methods=['POST']),
    Route('/v1/files', files, methods=['POST']),
    Route('/echo', echo, methods=['GET', 'POST', 'PUT', 'DELETE'])
])

if __name__ == '__main__':
    listener = socket.create_server(('127.0.0.1', 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level='warning')).run(sockets=[listener])
