"""The evidence of this machine's NVIDIA GPUs for a nonce, as an HTTP service or as a command.

    evidence.py --listen 127.0.0.1:8090      GET /evidence?nonce=<64 hexadecimal digits>
    evidence.py --nonce <64 hexadecimal digits>

Prints what NVIDIA's Remote Attestation Service (NRAS) takes: {"arch", "nonce", "evidence_list"}. It asks the driver
through NVML (package nvidia-ml-py), or NVIDIA's tool nvattest. With --nras it also asks NRAS, and adds its answer as
"nras_answer".
"""

import argparse
import base64
import json
import re
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from shutil import which
from urllib.parse import parse_qs, urlsplit

NONCE = re.compile(r"[0-9a-f]{64}")
#: NVML_DEVICE_ARCH_HOPPER and NVML_DEVICE_ARCH_BLACKWELL, as NRAS names them.
ARCHITECTURES = {9: "HOPPER", 10: "BLACKWELL"}
TOOL_TIMEOUT_SECONDS = 60
NRAS_TIMEOUT_SECONDS = 20
#: Of NRAS and of nvattest.
MAX_ANSWER_BYTES = 2 * 1024 * 1024


class CannotCollect(Exception):
    """There is no evidence. The message is fit for a log."""


def from_nvml(nonce):
    """Asks the driver for the evidence of each GPU, one after the other."""
    import pynvml

    try:
        pynvml.nvmlInit()
        try:
            handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
            architectures = {pynvml.nvmlDeviceGetArchitecture(handle) for handle in handles}
            evidence = [device_evidence(pynvml, handle, bytes.fromhex(nonce)) for handle in handles]
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        raise CannotCollect(f"the driver has no evidence: {error}") from error
    if not evidence:
        raise CannotCollect("the driver sees no GPU")
    if len(architectures) != 1 or not architectures <= ARCHITECTURES.keys():
        raise CannotCollect(f"the GPUs are of architectures that cannot be attested: {sorted(architectures)}")
    return {"arch": ARCHITECTURES[architectures.pop()], "nonce": nonce, "evidence_list": evidence}


def device_evidence(pynvml, handle, nonce):
    report = pynvml.nvmlDeviceGetConfComputeGpuAttestationReport(handle, nonce)
    certificate = pynvml.nvmlDeviceGetConfComputeGpuCertificate(handle)
    return {
        "evidence": encode(report.attestationReport, report.attestationReportSize),
        "certificate": encode(certificate.attestationCertChain, certificate.attestationCertChainSize),
    }


def encode(array, size):
    return base64.b64encode(bytes(array[:size])).decode("ascii")


def from_nvattest(nonce):
    """Asks NVIDIA's own tool. The proxy reads what it prints, so it is handed on as it is."""
    command = ["nvattest", "collect-evidence", "--device", "gpu", "--format", "json", "--nonce", nonce]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=TOOL_TIMEOUT_SECONDS, check=True)
        if len(done.stdout) > MAX_ANSWER_BYTES:
            raise CannotCollect("nvattest printed too much")
        return json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise CannotCollect(f"nvattest failed: {type(error).__name__}") from error


def with_nras(evidence, url):
    """Adds NVIDIA's own verdict."""
    listed = evidence.get("evidence_list", evidence.get("evidences", []))
    arch = evidence.get("arch", listed[0].get("arch") if listed else None)
    nonce = evidence.get("nonce", listed[0].get("nonce") if listed else None)
    devices = [{"evidence": item["evidence"], "certificate": item["certificate"]} for item in listed]
    asked = {"arch": arch, "nonce": nonce, "evidence_list": devices}
    body = json.dumps(asked).encode("ascii")
    request = urllib.request.Request(url, body, {"content-type": "application/json", "accept": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=NRAS_TIMEOUT_SECONDS) as response:
            text = response.read(MAX_ANSWER_BYTES + 1)
        if len(text) > MAX_ANSWER_BYTES:
            raise CannotCollect("NRAS answered too much")
        return {**asked, "nras_answer": json.loads(text)}
    except (OSError, ValueError) as error:
        raise CannotCollect(f"NRAS cannot be asked: {type(error).__name__}") from error


def collector(source, nras):
    """The function that collects, and the lock that has it run once at a time: the driver takes turns anyway."""
    lock = threading.Lock()
    collect = {"nvml": from_nvml, "nvattest": from_nvattest}[source]

    def locked(nonce):
        with lock:
            evidence = collect(nonce)
        return with_nras(evidence, nras) if nras else evidence

    return locked


def handler(collect):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        #: Seconds for a client to send its request.
        timeout = 10

        def do_GET(self):
            url = urlsplit(self.path)
            if url.path == "/healthz":
                return self.answer(200, {"status": "ok"})
            if url.path != "/evidence":
                return self.answer(404, {"error": "there are /evidence and /healthz"})
            nonces = parse_qs(url.query).get("nonce", [])
            if len(nonces) != 1 or not NONCE.fullmatch(nonces[0]):
                return self.answer(400, {"error": "one nonce of 64 hexadecimal digits, lower case, is expected"})
            try:
                return self.answer(200, collect(nonces[0]))
            except CannotCollect as error:
                print(f"evidence: {error}", file=sys.stderr, flush=True)
                return self.answer(503, {"error": str(error)})

        def answer(self, status, content):
            body = json.dumps(content).encode("ascii")
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.send_header("cache-control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """One line for each request would say nothing."""

    return Handler


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--listen", metavar="HOST:PORT", help="serve; the default is 127.0.0.1:8090")
    parser.add_argument("--nonce", help="print the evidence for this nonce, and end")
    parser.add_argument(
        "--source", choices=["nvml", "nvattest"], help="the default is nvattest if it is installed, else nvml"
    )
    parser.add_argument("--nras", metavar="URL", help="such as https://nras.attestation.nvidia.com/v3/attest/gpu")
    options = parser.parse_args()
    collect = collector(options.source or ("nvattest" if which("nvattest") else "nvml"), options.nras)
    if options.nonce is not None:
        if not NONCE.fullmatch(options.nonce):
            parser.error("--nonce takes 64 hexadecimal digits, lower case")
        try:
            print(json.dumps(collect(options.nonce)))
        except CannotCollect as error:
            sys.exit(f"evidence: {error}")
        return
    host, _, port = (options.listen or "127.0.0.1:8090").rpartition(":")
    server = ThreadingHTTPServer((host.strip("[]"), int(port)), handler(collect))
    print(f"evidence: listening on http://{host}:{server.server_address[1]}", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
