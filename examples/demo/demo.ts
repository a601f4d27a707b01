/**
 * `npm run demo`: an encrypted exchange through the real proxy, seen from every side, and verified.
 * `npm run demo -- --serve`: the same proxy, to be called by hand.
 */
import { parseArgs } from 'node:util'
import { ohttp } from './ohttp.ts'
import { polarisV1 } from './polaris-v1.ts'
import { serve } from './serve.ts'
import { setStage } from './stage.ts'
import { createStory } from './story.ts'
import type { Chapter } from './story.ts'

const chapters: readonly Chapter[] = [ohttp, polarisV1]

const options = readOptions()
if (options === undefined) process.exitCode = 2
else if (options.serve) await serve()
else process.exitCode = await tell()

function readOptions (): { serve: boolean } | undefined {
  try {
    const { values } = parseArgs({ options: { serve: { type: 'boolean', default: false } } })
    return values
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\nusage: npm run demo [-- --serve]`)
    return undefined
  }
}

/** @returns the exit code */
async function tell (): Promise<number> {
  const story = createStory(process.stdout)
  console.log('Starting a workload, the proxy in front of it, and a tap on the wire …')
  const stage = await setStage()
  try {
    for (const chapter of chapters) await chapter(stage, story)
  } catch (error) {
    story.check(`The demo runs to its end (${error instanceof Error ? error.message : error})`, false)
  } finally {
    await stage.close()
  }
  if (story.failed.length > 0) {
    console.error(`\n${story.failed.length} of ${story.checked} checks failed:\n${story.failed.map(claim =>
      `  - ${claim}`).join('\n')}`)
    return 1
  }
  console.log(`\nAll ${story.checked} checks passed. Next: npm run demo -- --serve`)
  return 0
}
