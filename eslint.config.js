import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'
import tseslint from 'typescript-eslint'

export default [
  ...neostandard({ ts: true, ignores: [...resolveIgnoresFromGitignore(), 'openapi/*.{json,yaml}', 'drizzle/sqlite/'] }),
  {
    rules: {
      // A schema and its static type have the same name.
      '@typescript-eslint/no-redeclare': 'off',
      'no-void': ['error', { allowAsStatement: true }],
      // A long text stays on its line.
      'max-len': ['error', {
        code: 120, ignoreUrls: true, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true
      }]
    }
  },
  {
    files: ['src/**/*.ts', 'src/**/*.tsx'],
    plugins: { '@typescript-eslint': tseslint.plugin },
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/unbound-method': 'error'
    }
  },
  {
    files: ['test/**/*.ts'],
    ignores: ['test/kit/random.ts', 'test/ring.ts'],
    rules: {
      // All chance comes from the seed of the run.
      'no-restricted-properties': ['error', { object: 'Math', property: 'random', message: 'Use test/kit/random.ts.' }],
      'no-restricted-imports': ['error', { paths: [{ name: 'node:crypto', importNames: ['randomInt'], message: 'Use test/kit/random.ts.' }] }]
    }
  }
]
