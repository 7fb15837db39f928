/** The `security` of an operation that asks for no credential. */
export const noCredential: { [scheme: string]: string[] }[] = [{}]

interface CodeSamples { 'x-codeSamples': { lang: string, label: string, source: string }[] }

/**
 * Shell commands of an operation, for its schema: `x-codeSamples` is read by Redoc and other documentation tools. A test
 * runs those of all operations, in the order of the document, in one shell.
 */
export function codeSamples (...lines: string[]): CodeSamples {
  return { 'x-codeSamples': [{ lang: 'Shell', label: 'curl', source: lines.join('\n') }] }
}
