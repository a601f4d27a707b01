// The binding of attestation documents, computed a second time: in Python, from its description alone.
import { execFileSync } from 'node:child_process'
import t from 'tap'

t.test('a second implementation agrees with every vector', async t => {
  const script = new URL('../docs/vectors/binding.py', import.meta.url).pathname
  t.match(execFileSync('python3', [script], { encoding: 'utf8' }), /^[1-9]\d* passed, 0 failed$/m)
})
