/** What the page uses of the package. */
declare module 'papaparse' {
  interface ParseOptions { readonly preview: number, readonly skipEmptyLines: boolean }

  export function parse (text: string, options: ParseOptions): { readonly data: readonly (readonly string[])[] }
}
