/**
 * The page with which people verify this proxy in a browser, if the operator asks for it: the file that `npm run page`
 * makes. It is data here, and runs in browsers only.
 */
import { readFile } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import { ConfigError } from '../../lib/config/config.ts'
import { settings } from '../../lib/config/settings.ts'

const FILE = new URL('../../dist/polaris-verify.html', import.meta.url)
const POLICY = /<meta http-equiv="Content-Security-Policy" content="([^"]+)">/

export default async function verifyPage (app: FastifyInstance) {
  if (!app.polaris.config.verifyPage) return
  const page = await readPage()
  // The page names what it may do by itself, for when it is opened from a disk. What only a header can say comes on
  // top.
  const [, policy = "default-src 'none'"] = POLICY.exec(page) ?? []
  app.get('/verify', async (_request, reply) => reply
    .header('content-security-policy', `${policy}; frame-ancestors 'none'`)
    .type('text/html; charset=utf-8')
    .send(page))
}

/** @throws {ConfigError} it has not been built */
async function readPage (): Promise<string> {
  try {
    return await readFile(FILE, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new ConfigError(
      [`${settings.verifyPage.env}: dist/polaris-verify.html cannot be read (${code}): build it with npm run page`],
      { cause }
    )
  }
}
