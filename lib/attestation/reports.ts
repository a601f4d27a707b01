/** Where hardware reports hold the 64 bytes that were asked to be in them. */

const SNP_REPORT_BYTES = 1184

/** @returns undefined where this is not an SEV-SNP report */
export function snpReportData (report: Buffer): Buffer | undefined {
  return report.length === SNP_REPORT_BYTES ? report.subarray(0x50, 0x90) : undefined
}

/** @returns undefined where this cannot be a TDX quote of version 4 */
export function tdxReportData (quote: Buffer): Buffer | undefined {
  return quote.length >= 632 && quote.readUInt16LE(0) === 4 ? quote.subarray(568, 632) : undefined
}
