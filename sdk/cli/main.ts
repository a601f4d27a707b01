#!/usr/bin/env node
/** The `polaris` command. */
import { run } from './program.ts'

await run()
