import regexp from 'eslint-plugin-regexp'
import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'

export default [
  ...neostandard({ ts: true, ignores: resolveIgnoresFromGitignore() }),
  {
    rules: {
      'no-console': 'error',
      'no-empty': ['error', { allowEmptyCatch: false }]
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
    rules: { '@typescript-eslint/no-explicit-any': 'error', '@typescript-eslint/ban-ts-comment': 'error' }
  }
]
