/** A block of commands at the end of a description. A test runs all that the document has, in its order, in one shell. */
export function shell (...lines: string[]): string {
  return `\n\n\`\`\`sh\n${lines.join('\n')}\n\`\`\``
}
