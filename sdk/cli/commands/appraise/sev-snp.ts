/** polaris appraise sev-snp */
import { X509Certificate } from 'node:crypto'
import { Command, Option } from 'commander'
import { MEDIA_TYPES } from '../../../../lib/protocols/attestation.ts'
import type { TypedValue } from '../../../../lib/protocols/attestation.ts'
import { appraise } from '../../../attestation/appraise.ts'
import type { SnpProduct } from '../../../attestation/snp/report.ts'
import { readProvenance } from '../../provenance.ts'
import { UsageError } from '../../status.ts'
import { hexOption, policyOf, read, readCertificates, report, rootHash, timeOf, withEvidenceOptions } from './common.ts'
import type { EvidenceOptions } from './common.ts'

const PRODUCTS: readonly SnpProduct[] = ['Milan', 'Genoa', 'Turin']

interface SevSnpOptions extends EvidenceOptions {
  readonly report: string
  readonly certificates: readonly string[]
  readonly crl: readonly string[]
  readonly root?: string
  readonly product?: SnpProduct
  readonly reportData?: string
}

export function sevSnpCommand (): Command {
  const command = new Command('sev-snp')
    .description('An SEV-SNP report, with the certificates of the key that signed it.')
    .requiredOption('--report <file>', 'the report, 1184 bytes')
    .requiredOption('--certificates <file...>', "VCEK or VLEK, AMD's signing key, AMD's root: PEM or DER, in any order")
    .addOption(new Option('--crl <file...>', 'revocation lists of AMD, DER').default([], 'none'))
    .option('--root <file>', "trust this root in place of AMD's")
    .addOption(new Option('--product <name>', 'whose root it is, unless its name says so').choices(PRODUCTS))
    .option('--report-data <hex>', 'what the report has to carry, 64 bytes')
  return withEvidenceOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  $ polaris appraise sev-snp --report report.bin --certificates vcek.der ask-ark.pem --policy policy.json
`
    )
    .action(run)
}

async function run (options: SevSnpOptions): Promise<void> {
  const root = options.root === undefined ? undefined : await soleCertificate(options.root)
  const certificates = (await Promise.all(options.certificates.map(readCertificates))).flat()
  const all =
    root && !certificates.some(certificate => certificate.raw.equals(root.raw))
      ? [...certificates, root]
      : certificates
  const policy = await policyOf(options, { 'sev-snp': {} })
  const verdict = await appraise(
    {
      tee: 'sev-snp',
      evidence: [[MEDIA_TYPES.snpReport, (await read(options.report)).toString('base64url')]],
      endorsements: [...all.map(({ raw }): TypedValue => [MEDIA_TYPES.certificate, raw.toString('base64url')])]
    },
    policy,
    {
      now: timeOf(options),
      ...await readProvenance(options, policy, fetch),
      platforms: {
        'sev-snp': {
          revocationLists: await Promise.all(options.crl.map(read)),
          ...(root && { roots: { [rootHash(root)]: options.product ?? productOf(root) } })
        }
      },
      ...(options.reportData !== undefined && { reportData: hexOption('--report-data', options.reportData, 64) })
    }
  )
  report(verdict, options)
}

async function soleCertificate (file: string): Promise<X509Certificate> {
  const [first, ...more] = await readCertificates(file)
  if (!first || more.length > 0) throw new UsageError(`${file} has to hold one certificate, the root`)
  return first
}

/** AMD's roots are named after the product. The layout of a TCB version depends on it. */
function productOf ({ subject }: X509Certificate): SnpProduct {
  const product = PRODUCTS.find(name => subject.split('\n').includes(`CN=ARK-${name}`))
  if (!product) throw new UsageError('the name of the root says no product: give --product')
  return product
}
