import regexp from 'eslint-plugin-regexp'
import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'

export default [
  ...neostandard({ ts: true, ignores: resolveIgnoresFromGitignore() }),
  {
    rules: {
      'no-console': 'error',
      'no-empty': ['error', { allowEmptyCatch: false }],
      '@stylistic/arrow-parens': ['error', 'as-needed'],
      // What cannot be cut may be longer: patterns, texts with lines of their own, a single literal.
      '@stylistic/max-len': ['error', {
        code: 120,
        ignoreRegExpLiterals: true,
        ignoreTemplateLiterals: true,
        ignorePattern: "^\\s*(?:\\w+: )?'[^ ']+',?$"
      }]
    }
  },
  {
    files: ['examples/**', 'marketplace/**', 'bench/**', '**/cli*.ts', 'scripts/**'],
    rules: { 'no-console': 'off' }
  },
  {
    // No regular expression takes more than linear time: much of what they are given comes from the wire.
    files: ['app.ts', 'server.ts', 'lib/**', 'plugins/**', 'routes/**', 'sdk/**'],
    plugins: { regexp },
    rules: {
      'regexp/no-super-linear-backtracking': ['error', { report: 'potential' }],
      'regexp/no-super-linear-move': ['error', { report: 'potential' }]
    }
  },
  {
    files: ['**/*.ts'],
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/ban-ts-comment': 'error',
      'no-restricted-syntax': ['error', {
        selector: 'TSInterfaceDeclaration[id.name=/Options$/] > TSInterfaceBody > TSPropertySignature[readonly!=true]',
        message: 'Options are only read: their members are readonly'
      }]
    }
  },
  // Imports go routes -> plugins -> lib, and sdk -> lib/protocols, never back.
  only('lib/**', [], 'lib knows nothing of Fastify, of plugins and routes, and of the SDK'),
  only('plugins/**', [/^(?:\.\.\/)+routes/], 'plugins know nothing of routes'),
  only('lib/exchanges/**', [/^(?:\.\.\/)+platforms/], 'protocols know nothing of platforms'),
  only('lib/config/**', [/platforms\/(?:azure|google|linux|local)/], 'settings know platforms by their registry alone'),
  only('sdk/**', [
    /^(?:\.\.\/)+(?:plugins|routes|app\.ts|server\.ts)/,
    /^(?:\.\.\/)+lib\/(?!protocols\/)/
  ], 'of the proxy, the SDK has lib/protocols alone'),
  only('lib/protocols/**', [
    /^(?:\.\.\/)+(?:attestation\/|config|exchanges|hpke\/|http|keys|platforms|remote|replay|streams|workers)/,
    /^node:/
  ], 'wire formats stand alone, and run in browsers')
]

/**
 * Imports that the files of a folder may not have. Of two such rules the last counts, so that each has those of lib.
 */
function only (files, patterns, message) {
  const ofLib = files.startsWith('lib/') ? [/^(?:\.\.\/)+(?:plugins|routes|sdk|app\.ts|server\.ts)/, /^@?fastify/] : []
  return {
    files: [files],
    rules: {
      'no-restricted-imports': ['error', {
        patterns: [...ofLib, ...patterns].map(({ source }) => ({ regex: source, message }))
      }]
    }
  }
}
