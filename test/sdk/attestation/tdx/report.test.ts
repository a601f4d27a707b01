/** What a TDX quote reports, and what a policy pins of it: for each check a quote in which only that check fails. */
import t from 'tap'
import { qeIdentity } from '../../../fixtures/intel/collateral.ts'
import { bound, eachFailsAlone, hex } from '../../../fixtures/intel/scene.ts'
import type { Scene } from '../../../fixtures/intel/scene.ts'

const cases: Array<[name: string, check: string, scene: Scene]> = [
  ['a swapped key', 'bound', { keys: [{ kind: 'tls-spki', value: Uint8Array.of(9) }] }],
  [
    'report data with something after the binding', 'bound',
    { quote: { reportData: Uint8Array.from([...bound.subarray(0, 63), 1]) } }
  ],
  ['another nonce', 'nonce', { options: { nonce: new Uint8Array(32) } }],
  ['debugging on', 'debug', { quote: { body: [[120, [1]]] } }],
  ['another bit that makes the domain untrusted', 'debug', { quote: { body: [[120, [0x80]]] } }],
  ['exceptions that the host causes', 'sept-ve', { quote: { body: [[123, [0]]] } }],
  ['a reserved attribute', 'attributes', { quote: { body: [[121, [1]]] } }],
  ['another reserved attribute', 'attributes', { quote: { body: [[124, [1]]] } }],
  ['attributes that are not pinned', 'attributes', { policy: { attributes: ['0000004000000000'] } }],
  ['XFAM without SSE', 'xfam', { quote: { body: [[128, [0xe5]]] } }],
  ['XFAM without x87', 'xfam', { quote: { body: [[128, [0xe6]]] } }],
  ['XFAM with a reserved bit', 'xfam', { quote: { body: [[128, [0xef]]] } }],
  ['XFAM that is not pinned', 'xfam', { policy: { xfam: ['e700060000000000'] } }],
  ['other firmware', 'measurement', { quote: { body: [[136, [0]]] } }],
  ['another kernel', 'measurement', { quote: { body: [[376, [0]]] } }],
  ['a mix of two accepted states', 'measurement', { quote: { body: [[136, Buffer.alloc(48)]] } }],
  ['another configuration', 'mrconfigid', { policy: { mrconfigid: [hex(1)] } }],
  ['another owner', 'mrowner', { policy: { mrowner: [hex(1)] } }],
  ['another configuration of the owner', 'mrownerconfig', { policy: { mrownerconfig: [hex(1)] } }],
  ['another module', 'mrseam', { policy: { mrseam: [hex(1)] } }],
  ['a module by a signer that is not pinned', 'module', { policy: { mrsignerseam: [hex(1)] } }],
  ['a module with attributes that are not pinned', 'module', { policy: { seamAttributes: [hex(1, 8)] } }],
  ['another maker of the quoting enclave', 'quoting-enclave-vendor', { quote: { header: [[12, [0]]] } }],
  ['a maker that is not pinned', 'quoting-enclave-vendor', { policy: { qeVendorIds: [hex(1, 16)] } }],
  ['another platform model', 'platform-model', { policy: { fmspcs: ['000000000000'] } }],
  ['a module version below the least', 'tee-tcb-svn', { policy: { minimumTeeTcbSvn: `0001080100${'00'.repeat(11)}` } }],
  ['an older evaluation of TCB info', 'collateral-number', { policy: { minimumTcbEvaluationDataNumber: 20 } }],
  ['an older evaluation of the enclave', 'collateral-number', {
    policy: { minimumTcbEvaluationDataNumber: 19 },
    collateral: { qeIdentity: qeIdentity({ tcbEvaluationDataNumber: 18 }) }
  }],
  ['a bound service TD', 'service-td', { quote: { version: 5, extended: true, body: [[600, [1]]] } }],
  [
    'a module that was outdated at launch', 'tcb',
    { quote: { version: 5, extended: true, svn: [5, 1, 8], body: [[584, [6, 1, 8]]] } }
  ],
  ['a module that is outdated now', 'tcb', { quote: { version: 5, extended: true, body: [[584, [5, 1, 8]]] } }]
]
eachFailsAlone(t, cases)
