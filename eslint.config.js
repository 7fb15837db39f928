import js from '@eslint/js'
import stylistic from '@stylistic/eslint-plugin'
import node from 'eslint-plugin-n'
import promise from 'eslint-plugin-promise'
import tseslint from 'typescript-eslint'

/** JavaScript Standard Style without its preset, which would install 140 packages. */
const style = {
  '@stylistic/comma-dangle': ['error', 'never'],
  '@stylistic/generator-star-spacing': ['error', 'both'],
  '@stylistic/yield-star-spacing': ['error', 'both'],
  '@stylistic/space-before-function-paren': ['error', 'always'],
  '@stylistic/arrow-parens': 'off',
  '@stylistic/indent-binary-ops': 'off',
  '@stylistic/jsx-max-props-per-line': 'off',
  '@stylistic/jsx-one-expression-per-line': 'off',
  '@stylistic/jsx-quotes': ['error', 'prefer-single'],
  '@stylistic/member-delimiter-style': 'off',
  '@stylistic/type-generic-spacing': 'off',
  '@stylistic/brace-style': ['error', '1tbs', { allowSingleLine: true }],
  '@stylistic/quotes': ['error', 'single', { avoidEscape: true, allowTemplateLiterals: 'never' }],
  '@stylistic/quote-props': ['error', 'as-needed'],
  '@stylistic/operator-linebreak': ['error', 'after', { overrides: { '?': 'before', ':': 'before', '|': 'ignore' } }],
  '@stylistic/multiline-ternary': ['error', 'always-multiline'],
  '@stylistic/object-property-newline': ['error', { allowAllPropertiesOnSameLine: true }],
  '@stylistic/object-curly-newline': ['error', { multiline: true, consistent: true }],
  '@stylistic/max-statements-per-line': 'off',
  '@stylistic/indent': ['error', 2, {
    SwitchCase: 1,
    ignoredNodes: [
      'TemplateLiteral *', 'JSXElement', 'JSXElement > *', 'JSXAttribute', 'JSXExpressionContainer', 'JSXText',
      'JSXOpeningElement', 'JSXClosingElement', 'JSXFragment', 'JSXOpeningFragment', 'JSXClosingFragment'
    ]
  }],
  '@stylistic/no-extra-parens': ['error', 'functions'],
  '@stylistic/function-call-spacing': 'error',
  // A long text stays on its line.
  'max-len': ['error', {
    code: 120, ignoreUrls: true, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true
  }]
}

/** What Standard asks for beyond `eslint:recommended`. */
const standard = {
  'accessor-pairs': 'error',
  'array-callback-return': 'error',
  camelcase: ['error', { properties: 'never', ignoreGlobals: true }],
  curly: ['error', 'multi-line'],
  'default-case-last': 'error',
  eqeqeq: ['error', 'always', { null: 'ignore' }],
  'new-cap': ['error', { capIsNew: false }],
  'no-array-constructor': 'off',
  'no-caller': 'error',
  'no-constant-condition': ['error', { checkLoops: false }],
  'no-empty': ['error', { allowEmptyCatch: true }],
  'no-eval': 'error',
  'no-extend-native': 'error',
  'no-extra-bind': 'error',
  'no-implied-eval': 'error',
  'no-iterator': 'error',
  'no-labels': 'error',
  'no-lone-blocks': 'error',
  'no-multi-str': 'error',
  'no-new': 'error',
  'no-new-func': 'error',
  'no-new-wrappers': 'error',
  'no-object-constructor': 'error',
  'no-octal-escape': 'error',
  'no-proto': 'error',
  'no-return-assign': ['error', 'except-parens'],
  'no-self-compare': 'error',
  'no-sequences': 'error',
  'no-template-curly-in-string': 'error',
  'no-throw-literal': 'error',
  'no-undef-init': 'error',
  'no-unmodified-loop-condition': 'error',
  'no-unneeded-ternary': 'error',
  'no-unreachable-loop': 'error',
  'no-useless-call': 'error',
  'no-useless-computed-key': 'error',
  'no-useless-rename': 'error',
  'no-useless-return': 'error',
  'no-var': 'error',
  'no-void': ['error', { allowAsStatement: true }],
  'object-shorthand': ['error', 'properties'],
  'require-yield': 'off',
  'one-var': ['error', { initialized: 'never' }],
  'prefer-const': ['error', { destructuring: 'all' }],
  'prefer-promise-reject-errors': 'error',
  'prefer-regex-literals': ['error', { disallowRedundantWrapping: true }],
  'symbol-description': 'error',
  'unicode-bom': 'error',
  yoda: 'error',
  'n/handle-callback-err': 'error',
  'n/no-deprecated-api': 'error',
  'n/no-exports-assign': 'error',
  'n/no-new-require': 'error',
  'n/no-path-concat': 'error',
  'n/process-exit-as-throw': 'error',
  'promise/param-names': 'error',
  '@typescript-eslint/no-array-constructor': 'error',
  '@typescript-eslint/no-dupe-class-members': 'error',
  '@typescript-eslint/no-unused-expressions': ['error', { allowShortCircuit: true, allowTernary: true, allowTaggedTemplates: true }],
  '@typescript-eslint/no-unused-vars': ['error', { args: 'none', caughtErrors: 'none', ignoreRestSiblings: true }],
  '@typescript-eslint/no-use-before-define': ['error', { functions: false, classes: false, variables: false }],
  '@typescript-eslint/no-useless-constructor': 'error',
  // The compiler checks these, and knows more.
  'no-undef': 'off',
  'no-redeclare': 'off',
  'no-dupe-class-members': 'off',
  'no-unused-vars': 'off'
}

export default [
  { ignores: ['node_modules/', 'dist/', 'data/', '.tap/', 'drizzle/sqlite/'] },
  js.configs.recommended,
  stylistic.configs.customize({ indent: 2, quotes: 'single', semi: false, commaDangle: 'never', jsx: true }),
  {
    files: ['**/*.js', '**/*.ts', '**/*.tsx'],
    plugins: { '@typescript-eslint': tseslint.plugin, n: node, promise },
    languageOptions: { parser: tseslint.parser },
    rules: { ...standard, ...style }
  },
  {
    files: ['src/**/*.ts', 'src/**/*.tsx'],
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
    // Texts and templates too, but not the paths of icons, and the Markdown, script and style that templates have.
    files: ['src/**/*.ts', 'src/**/*.tsx', 'openapi/sdk/*'],
    ignores: ['src/page/icon.tsx', 'src/openapi/document.ts', 'src/openapi/docs-page.ts'],
    rules: { 'max-len': ['error', { code: 120 }] }
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
