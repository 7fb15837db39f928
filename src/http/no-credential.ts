/** The `security` of an operation that asks for no credential. */
export const noCredential: { [scheme: string]: string[] }[] = [{}]
