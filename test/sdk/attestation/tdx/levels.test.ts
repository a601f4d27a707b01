/** TCB levels: Intel's rule about TDX modules in both directions, the quoting enclave, and the platform. */
import t from 'tap'
import { PLATFORM } from '../../../fixtures/intel/authority.ts'
import { level, moduleIdentity, tcbInfo } from '../../../fixtures/intel/collateral.ts'
import { failed } from '../../../fixtures/verdict.ts'
import { appraise, eachFailsAlone, hex, intel } from '../../../fixtures/intel/scene.ts'
import type { Scene } from '../../../fixtures/intel/scene.ts'

const MODULES: Array<[svn: number[], says: string, status: string | undefined, info?: ReturnType<typeof tcbInfo>]> = [
  [[6, 1, 8], 'TDX_01 wants 6', 'UpToDate'],
  [[5, 1, 8], 'TDX_01 has 4 as out of date', 'OutOfDate'],
  [
    [6, 1, 8], 'TDX_01 wants 11', undefined,
    tcbInfo({ tdxModuleIdentities: [moduleIdentity('TDX_01', [11, 'UpToDate'])] })
  ],
  [
    [6, 1, 8], 'TDX_01 wants 11, and 6 is out of date', 'OutOfDate',
    tcbInfo({ tdxModuleIdentities: [moduleIdentity('TDX_01', [11, 'UpToDate'], [6, 'OutOfDate'])] })
  ],
  [[10, 2, 8], 'no TDX_02', undefined],
  [[3, 3, 8], 'TDX_03 wants 3, although the levels have 5 as first component', 'UpToDate'],
  [[2, 3, 8], 'TDX_03 wants 3', undefined],
  [[5, 0, 8], 'module 1.0: by all components', 'UpToDate'],
  [[4, 0, 8], 'module 1.0: by all components, too low in the first', 'OutOfDate'],
  [[2, 0, 8], 'module 1.0: by all components, below the last level', undefined],
  [[3, 1, 8], 'TDX_01 has 2 as revoked', 'Revoked'],
  [[1, 1, 8], 'TDX_01 has nothing for 1', undefined],
  [[6, 1, 5], 'the platform is out of date, the module is not', 'OutOfDate'],
  [[6, 1, 4], 'no level for the platform', undefined],
  [[6, 1, 8], 'no identities at all', undefined, tcbInfo({ tdxModuleIdentities: undefined })],
  [[6, 1, 8], 'TDX_01 twice', undefined, tcbInfo(
    { tdxModuleIdentities: [moduleIdentity('TDX_01', [6, 'UpToDate']), moduleIdentity('TDX_01', [6, 'UpToDate'])] }
  )],
  [
    [6, 1, 8], 'TDX_01 by another signer', undefined,
    tcbInfo({ tdxModuleIdentities: [{ ...moduleIdentity('TDX_01', [6, 'UpToDate']), mrsigner: hex(1) }] })
  ],
  [
    [6, 1, 8], 'TDX_01 with other attributes', undefined,
    tcbInfo({ tdxModuleIdentities: [{ ...moduleIdentity('TDX_01', [6, 'UpToDate']), attributes: hex(1, 8) }] })
  ],
  [[5, 0, 8], 'no module 1.0', undefined, tcbInfo({ tdxModule: undefined })],
  [[6, 1, 8], 'a platform that needs configuration, and a module out of date', 'OutOfDateConfigurationNeeded',
    tcbInfo(
      { tcbLevels: [level('ConfigurationNeeded')], tdxModuleIdentities: [moduleIdentity('TDX_01', [6, 'OutOfDate'])] }
    )]
]
const ALL = [
  'UpToDate', 'SWHardeningNeeded', 'ConfigurationNeeded', 'ConfigurationAndSWHardeningNeeded', 'OutOfDate',
  'OutOfDateConfigurationNeeded'
] as const
for (const [svn, says, status, info] of MODULES) {
  t.test(`TEE_TCB_SVN ${svn.join(' ')}, ${says}: ${status ?? 'refused'}`, async t => {
    const scene: Scene = { quote: { svn }, ...info && { collateral: { tcbInfo: info } } }
    t.equal((await appraise(scene)).verified, status === 'UpToDate')
    // Accepted by a policy that names its status, and by no policy without it.
    for (const accepted of ALL) {
      t.same(
        failed(await appraise({ ...scene, policy: { tcbStatuses: [accepted] } })), accepted === status ? [] : ['tcb']
      )
    }
    if (status === undefined || status === 'Revoked') {
      t.same(failed(await appraise({ ...scene, policy: { tcbStatuses: ALL } })), ['tcb'])
    }
  })
}

const cases: Array<[name: string, check: string, scene: Scene]> = [
  ['an enclave by another signer', 'quoting-enclave', { quote: { enclave: [[128, [0]]] } }],
  ['another product', 'quoting-enclave', { quote: { enclave: [[256, [1]]] } }],
  ['an enclave that can be debugged', 'quoting-enclave', { quote: { enclave: [[48, [0x13]]] } }],
  ['an enclave with other attributes', 'quoting-enclave', { quote: { enclave: [[48, [0x31]]] } }],
  ['an enclave with another MISCSELECT', 'quoting-enclave', { quote: { enclave: [[16, [1]]] } }],
  ['an enclave that is too old for any status', 'quoting-enclave', { quote: { enclave: [[258, [3]]] } }],
  ['an enclave that is out of date', 'tcb', { quote: { enclave: [[258, [7]]] } }],
  ['TCB info of another platform model', 'tcb', { collateral: { tcbInfo: tcbInfo({ fmspc: '00606a000000' }) } }],
  ['TCB info of another certification enclave', 'tcb', { collateral: { tcbInfo: tcbInfo({ pceId: '0001' }) } }],
  ['a platform below every level', 'tcb', {
    quote: {
      platform: intel.platform({ ...PLATFORM, components: PLATFORM.components.map((value, i) => i === 7 ? 2 : value) })
    }
  }],
  [
    'a certification enclave below every level', 'tcb',
    { quote: { platform: intel.platform({ ...PLATFORM, pcesvn: 10 }) } }
  ]
]
eachFailsAlone(t, cases)
