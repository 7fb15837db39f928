/** The `security` of an operation without authentication. */
export const noCredential: { [scheme: string]: string[] }[] = [{}]

interface CodeSamples { 'x-codeSamples': { lang: string, label: string, source: string }[] }

/**
 * Example commands of an operation: `x-codeSamples`, which Redoc and other tools show. A test runs the commands of all
 * operations in one shell, in the order of the document.
 */
export function codeSamples (...lines: string[]): CodeSamples {
  return { 'x-codeSamples': [{ lang: 'Shell', label: 'curl', source: lines.join('\n') }] }
}
