/** The table of settings agrees with itself. */
import t from 'tap'
import { loadConfig } from '../../../lib/config/config.ts'
import { formats, settings } from '../../../lib/config/settings.ts'
import type { Setting } from '../../../lib/config/settings.ts'

for (const setting of Object.values<Setting>(settings)) {
  if (setting.format === undefined) continue
  const format = formats[setting.format as keyof typeof formats]
  if (!t.ok(format, `${setting.env}: there is a format ${setting.format}`) || setting.default === undefined) continue
  t.ok(format.test(String(setting.default)), `${setting.env}: the default is accepted`)
}

t.doesNotThrow(() => loadConfig({ [settings.workloadBaseUrl.env]: 'http://localhost:3001' }), 'one setting is enough')
