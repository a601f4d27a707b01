"""An OTLP receiver made of the official protobuf definitions: GET answers with all spans so far, as JSON."""
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

received = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        request = ExportTraceServiceRequest.FromString(self.body())
        received.append(MessageToDict(request))
        self.answer('application/x-protobuf', ExportTraceServiceResponse().SerializeToString())

    def do_GET(self):
        self.answer('application/json', json.dumps(received).encode())

    def body(self):
        if self.headers.get('transfer-encoding') != 'chunked':
            return self.rfile.read(int(self.headers['content-length']))
        pieces = []
        while (length := int(self.rfile.readline(), 16)) > 0:
            pieces.append(self.rfile.read(length))
            self.rfile.readline()
        self.rfile.readline()
        return b''.join(pieces)

    def answer(self, media_type, body):
        self.send_response(200)
        self.send_header('content-type', media_type)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
