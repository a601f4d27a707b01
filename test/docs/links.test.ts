/** Whatever a document links to within the project is there. */
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { documents, prose, read } from '../fixtures/documents.ts'
import { root } from '../fixtures/script.ts'

const LINK = /\[[^\]]*\]\(([^)\s]+)\)/g

/** The anchors that GitHub makes of headings. */
function anchors (markdown: string): Set<string> {
  const headings = [...prose(markdown).matchAll(/^#{1,6} +(.+)$/gm)].map(([, heading = '']) => heading)
  return new Set(
    headings.map(heading => heading.trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-'))
  )
}

for (const document of documents()) {
  for (const [, link = ''] of prose(read(document)).matchAll(LINK)) {
    if (/^[a-z]+:/i.test(link)) continue
    const [path = '', anchor] = link.split('#')
    const target = path === '' ? document : join(dirname(document), path)
    if (!t.ok(existsSync(join(root, target)), `${document} links to ${link}, which is there`)) continue
    if (anchor !== undefined && statSync(join(root, target)).isFile()) {
      t.ok(anchors(read(target)).has(anchor), `${document} links to ${link}, which is a heading`)
    }
  }
}
