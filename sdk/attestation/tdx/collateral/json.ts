/**
 * The two JSON texts of Intel's collateral (Intel, "SGX and TDX Provisioning Certification Service", v4: TCB Info V3,
 * Enclave Identity V2). Their signatures were checked by the caller; a form that is not known is refused all the same.
 */
import { fromHex } from '../../bytes.ts'
import type { Bytes } from '../../../../lib/protocols/bytes.ts'
import { isTcbStatus } from '../statuses.ts'
import type { TcbStatus } from '../statuses.ts'

export interface TcbInfo {
  readonly issueDate: Date
  readonly nextUpdate: Date
  /** Lower-case hexadecimal, 6 and 2 bytes. */
  readonly fmspc: string
  readonly pceId: string
  readonly tcbEvaluationDataNumber: number
  /** For modules of TDX 1.0. */
  readonly tdxModule: ModuleIdentity | undefined
  /** For modules of TDX 1.5 and later. */
  readonly tdxModuleIdentities: readonly ModuleIdentity[]
  readonly tcbLevels: readonly TcbLevel[]
}

/** What a platform needs for a status. */
export interface TcbLevel {
  readonly tcb: { readonly sgx: readonly number[]; readonly pcesvn: number; readonly tdx: readonly number[] }
  readonly tcbStatus: TcbStatus
}

export interface IdentityLevel {
  readonly isvsvn: number
  readonly tcbStatus: TcbStatus
}

export interface ModuleIdentity {
  /** `TDX_` and the version in two hexadecimal digits; empty for the module of TDX 1.0. */
  readonly id: string
  readonly mrsigner: Bytes
  readonly attributes: Bytes
  readonly attributesMask: Bytes
  readonly tcbLevels: readonly IdentityLevel[]
}

export interface QeIdentity {
  readonly issueDate: Date
  readonly nextUpdate: Date
  readonly tcbEvaluationDataNumber: number
  readonly miscselect: Bytes
  readonly miscselectMask: Bytes
  readonly attributes: Bytes
  readonly attributesMask: Bytes
  readonly mrsigner: Bytes
  readonly isvprodid: number
  readonly tcbLevels: readonly IdentityLevel[]
}

/** @throws {RangeError} the message names the member */
export function readTcbInfo (json: string): TcbInfo {
  const info = object(JSON.parse(json), 'TCB info')
  if (info['id'] !== 'TDX' || info['version'] !== 3 || info['tcbType'] !== 0) {
    throw new RangeError('it is not TCB info for TDX of version 3')
  }
  return {
    ...readDates(info),
    fmspc: text(info['fmspc'], 'fmspc', /^[\dA-Fa-f]{12}$/).toLowerCase(),
    pceId: text(info['pceId'], 'pceId', /^[\dA-Fa-f]{4}$/).toLowerCase(),
    tdxModule: info['tdxModule'] === undefined ? undefined : readModule(object(info['tdxModule'], 'tdxModule'), '', []),
    tdxModuleIdentities: list(info['tdxModuleIdentities'] ?? [], 'tdxModuleIdentities').map(item => {
      const identity = object(item, 'tdxModuleIdentities')
      return readModule(
        identity,
        text(identity['id'], 'tdxModuleIdentities.id', /^TDX_[\dA-F]{2}$/),
        readIdentityLevels(identity)
      )
    }),
    tcbLevels: list(info['tcbLevels'], 'tcbLevels').map(item => {
      const level = object(item, 'tcbLevels')
      const tcb = object(level['tcb'], 'tcbLevels.tcb')
      return {
        tcb: {
          sgx: components(tcb['sgxtcbcomponents'], 'sgxtcbcomponents'),
          pcesvn: count(tcb['pcesvn'], 'pcesvn', 0xffff),
          tdx: components(tcb['tdxtcbcomponents'], 'tdxtcbcomponents')
        },
        tcbStatus: status(level['tcbStatus'])
      }
    })
  }
}

/** @throws {RangeError} the message names the member */
export function readQeIdentity (json: string): QeIdentity {
  const identity = object(JSON.parse(json), 'identity')
  if (identity['id'] !== 'TD_QE' || identity['version'] !== 2) {
    throw new RangeError('it is not an identity of a TD quoting enclave of version 2')
  }
  return {
    ...readDates(identity),
    miscselect: bytes(identity['miscselect'], 'miscselect', 4),
    miscselectMask: bytes(identity['miscselectMask'], 'miscselectMask', 4),
    attributes: bytes(identity['attributes'], 'attributes', 16),
    attributesMask: bytes(identity['attributesMask'], 'attributesMask', 16),
    mrsigner: bytes(identity['mrsigner'], 'mrsigner', 32),
    isvprodid: count(identity['isvprodid'], 'isvprodid', 0xffff),
    tcbLevels: readIdentityLevels(identity)
  }
}

type Members = Record<string, unknown>

function readDates (members: Members) {
  return {
    issueDate: date(members['issueDate'], 'issueDate'),
    nextUpdate: date(members['nextUpdate'], 'nextUpdate'),
    tcbEvaluationDataNumber: count(members['tcbEvaluationDataNumber'], 'tcbEvaluationDataNumber', 0xffffffff)
  }
}

function readModule (members: Members, id: string, tcbLevels: readonly IdentityLevel[]): ModuleIdentity {
  return {
    id,
    mrsigner: bytes(members['mrsigner'], 'mrsigner', 48),
    attributes: bytes(members['attributes'], 'attributes', 8),
    attributesMask: bytes(members['attributesMask'], 'attributesMask', 8),
    tcbLevels
  }
}

function readIdentityLevels (members: Members): IdentityLevel[] {
  return list(members['tcbLevels'], 'tcbLevels').map(item => {
    const level = object(item, 'tcbLevels')
    const { isvsvn } = object(level['tcb'], 'tcbLevels.tcb')
    return { isvsvn: count(isvsvn, 'isvsvn', 0xffff), tcbStatus: status(level['tcbStatus']) }
  })
}

function object (value: unknown, member: string): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RangeError(`${member} is not an object`)
  }
  return Object.assign(Object.create(null) as Members, value)
}

function list (value: unknown, member: string): unknown[] {
  if (!Array.isArray(value)) throw new RangeError(`${member} is not a list`)
  return value
}

function text (value: unknown, member: string, pattern: RegExp): string {
  if (typeof value !== 'string' || !pattern.test(value)) throw new RangeError(`${member} is malformed`)
  return value
}

function bytes (value: unknown, member: string, length: number): Bytes {
  const read = typeof value === 'string' ? fromHex(value.toLowerCase(), length) : undefined
  if (!read) throw new RangeError(`${member} is malformed`)
  return read
}

function count (value: unknown, member: string, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > most) {
    throw new RangeError(`${member} is malformed`)
  }
  return value
}

function components (value: unknown, member: string): number[] {
  const read = list(value, member).map(item => count(object(item, member)['svn'], member, 0xff))
  if (read.length !== 16) throw new RangeError(`${member} are not 16`)
  return read
}

function status (value: unknown): TcbStatus {
  if (!isTcbStatus(value)) throw new RangeError('tcbStatus is not a known one')
  return value
}

function date (value: unknown, member: string): Date {
  const read = new Date(text(value, member, /^\d{4}-(?:0\d|1[0-2])-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\dZ$/))
  if (Number.isNaN(read.getTime())) throw new RangeError(`${member} is malformed`)
  return read
}
