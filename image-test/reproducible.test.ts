import { execFileSync, spawnSync } from 'node:child_process'
import t from 'tap'
import { readImage } from './fixtures/layout.ts'

const project = new URL('..', import.meta.url).pathname
const { digest } = readImage()

t.test('two builds in other places, under another umask and time zone, give the digest of the image under test', async t => {
  const printed = execFileSync('docker/verify.sh', [digest], { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  t.match(printed, new RegExp(`^first: +${digest}\nsecond: +${digest}\npublished: ${digest}\nreproducible\n$`))
})

t.test('what is not a digest is refused', async t => {
  t.equal(spawnSync('docker/verify.sh', ['sha256:1234'], { cwd: project }).status, 2)
})
