// @phala/dcap-qvl is optional: without it, TDX evidence is refused, and the verdict says what is missing.
import { registerHooks } from 'node:module'
import t from 'tap'
import { attestationDocument } from '../../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../../lib/protocols/base64url.ts'
import { verifyAttestation } from '../../../sdk/attestation/index.ts'
import { failed, outcomeOf } from '../../fixtures/verdict.ts'

t.test('the verdict names the package that is not installed', async t => {
  const { deregister } = registerHooks({
    resolve (specifier, context, next) {
      if (specifier.startsWith('@phala/')) throw Object.assign(new Error(`Cannot find package '${specifier}'`), { code: 'ERR_MODULE_NOT_FOUND' })
      return next(specifier, context)
    }
  })
  t.teardown(deregister)
  const nonce = new Uint8Array(16)
  const quote = new Uint8Array(1000)
  quote.set([4, 0, 2, 0, 0x81])
  const document = await attestationDocument({
    tee: 'tdx', nonce, cached: false, keys: [{ kind: 'tls-spki', value: Uint8Array.of(1) }], evidence: [['application/vnd.polaris.tdx-quote', encodeBase64url(quote)]], endorsements: [], issuedAt: new Date()
  })
  const verdict = await verifyAttestation(JSON.stringify(document), { version: 1, insecure: true, platforms: { tdx: {} } }, { nonce })
  t.same(failed(verdict), ['quote', 'bound'])
  t.match(verdict.checks.find(({ name }) => name === 'quote')?.detail, /need the package @phala\/dcap-qvl, which is not installed/)
  t.equal(outcomeOf(verdict, 'tcb'), 'skipped')
})
