/**
 * Who signed: what Fulcio, Sigstore's certificate authority, wrote into the certificate about the workflow (extensions
 * below 1.3.6.1.4.1.57264.1). Those of the first version are bare text, later ones are UTF8String in DER.
 */
import { AsnConvert } from '@peculiar/asn1-schema'
import { SubjectAlternativeName } from '@peculiar/asn1-x509'
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import { parseCertificate } from '../x509/certificate.ts'

const FULCIO = '1.3.6.1.4.1.57264.1'
const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17'
const BARE = { issuer: 1, repository: 5, ref: 6 } as const
const ENCODED = { issuer: 8, builder: 9, repository: 12, ref: 14 } as const
const GITHUB = 'https://github.com/'

export interface WorkflowIdentity {
  /** The issuer of the workflow's identity. */
  readonly issuer: string | undefined
  /** Every name of the source repository that the certificate has, `owner/name`; one where all agree. */
  readonly repositories: readonly string[]
  /** Every git reference that it has: of the source, of the workflow, of the builder. */
  readonly refs: readonly string[]
  /** The workflow's file, `owner/name/path`; of a reusable one, the one that was called. */
  readonly workflow: string | undefined
}

/** @throws whatever the parser throws where this is not such a certificate */
export function workflowIdentity (der: Bytes): WorkflowIdentity {
  const { extensions } = parseCertificate(der)
  const bare = (id: number) => text(extensions.get(`${FULCIO}.${id}`))
  const encoded = (id: number) => utf8String(extensions.get(`${FULCIO}.${id}`))
  const subject = splitRef(subjectUri(extensions.get(SUBJECT_ALTERNATIVE_NAME)))
  const builder = splitRef(encoded(ENCODED.builder))
  const repository = encoded(ENCODED.repository)
  return {
    // The later extension stands for the earlier one.
    issuer: encoded(ENCODED.issuer) ?? bare(BARE.issuer),
    repositories: distinct([bare(BARE.repository), repository && withoutGithub(repository)]),
    refs: distinct([bare(BARE.ref), encoded(ENCODED.ref), subject?.ref, builder?.ref]),
    workflow: subject && withoutGithub(subject.uri)
  }
}

/** `https://github.com/owner/name/.github/workflows/release.yml@refs/tags/v1` */
function splitRef (uri: string | undefined): { uri: string, ref: string } | undefined {
  if (uri === undefined) return undefined
  const at = uri.lastIndexOf('@')
  return { uri: at < 0 ? uri : uri.slice(0, at), ref: at < 0 ? '' : uri.slice(at + 1) }
}

/** What is elsewhere stays as it is, and equals no `owner/name`. */
function withoutGithub (uri: string): string {
  return uri.startsWith(GITHUB) ? uri.slice(GITHUB.length) : uri
}

function subjectUri (value: Bytes | undefined): string | undefined {
  if (value === undefined) return undefined
  const names = AsnConvert.parse(value, SubjectAlternativeName)
  return names.length === 1 ? names[0]?.uniformResourceIdentifier : undefined
}

function text (value: Bytes | undefined): string | undefined {
  return value && new TextDecoder('utf-8', { fatal: true }).decode(value)
}

/** DER: 0c, the length in one byte or in two or three, the text. */
function utf8String (value: Bytes | undefined): string | undefined {
  if (value === undefined) return undefined
  const [tag, first = 0, second = 0, third = 0] = value
  const [head, length] = first < 0x80
    ? [2, first]
    : first === 0x81 ? [3, second] : first === 0x82 ? [4, second * 256 + third] : [0, -1]
  if (tag !== 0x0c || value.length !== head + length) throw new Error('An extension is not a UTF8String')
  return text(value.subarray(head))
}

function distinct (values: ReadonlyArray<string | undefined>): string[] {
  return [...new Set(values.filter(value => value !== undefined))]
}
