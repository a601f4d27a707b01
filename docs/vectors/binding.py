"""The binding of an attestation document, from docs/attestation-document.md alone, checked against attestation.json."""
import json
import pathlib
from hashlib import sha256

hash = lambda data: sha256(data).digest()
lp = lambda data: len(data).to_bytes(2, 'big') + data
items = lambda pairs: len(pairs).to_bytes(2, 'big') + b''.join(lp(name.encode()) + lp(hash(value)) for name, value in pairs)
texts = lambda pairs: items([(name, value.encode()) for name, value in pairs])

vectors = json.loads(pathlib.Path(__file__).with_name('attestation.json').read_text())['vectors']
for vector in vectors:
    keys = items([(key['kind'], bytes.fromhex(key['value'])) for key in vector['keys']])
    base = lp(b'polaris attestation binding v%d' % vector['version']) + lp(bytes.fromhex(vector['nonce'])) + keys
    if vector['version'] == 2:
        base += texts(vector['claims'])
        assert hash(lp(b'polaris attestation device nonce v2') + lp(hash(base))).hex() == vector['deviceNonce'], vector['name']
        assert (base + texts(vector['devices'])).hex() == vector['preimage'], vector['name']
    assert hash(bytes.fromhex(vector['preimage'])).hex() == vector['binding'], vector['name']
print(f'{len(vectors)} passed, 0 failed')
