/** The formats of settings: what each accepts, and that none takes more than time in proportion to the text. */
import t from 'tap'
import { formats } from '../../../lib/config/settings/formats.ts'

t.test('a context root is a path of plain segments', async t => {
  const { test } = formats['path-prefix']
  for (const path of ['', '/', '/proxy', 'proxy', '/a/b', 'a/b/', '/a.b/~c']) t.ok(test(path), path)
  for (const path of ['//', '/a//b', '/a/../b', '..', '/.', '/a?b', '/a b', 'http://a', '/a%2fb', '//a']) {
    t.notOk(test(path), path)
  }
})

t.test('a long value of any shape is judged at once', async t => {
  const pieces = ['a', '/a', 'a.', '1,', 'a:1,', '0', '::', 'a-', '~', '1.1.1.1/32,', ' ', ', ']
  for (const [name, { test }] of Object.entries(formats)) {
    for (const piece of pieces) {
      // An exponential pattern would not end within the time of the test.
      t.type(test(piece.repeat(20_000) + '!'), 'boolean', `${name}: ${piece}`)
    }
  }
})
