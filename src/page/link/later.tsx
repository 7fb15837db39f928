import { createParts, missingDialog } from '../late-parts.tsx'

/** They are in `parts.ts`, which only the entry of the page knows: it needs what is in the first view. */
interface Parts {
  readonly FilePreview: typeof import('./file-preview.tsx').FilePreview
  readonly PreviewDialog: typeof import('./preview-dialog.tsx').PreviewDialog
}

const { provide, load, part } = createParts<Parts>()

export { provide as provideParts, load as loadParts }

export const FilePreview = part('FilePreview', missing => missing)
export const PreviewDialog = part('PreviewDialog', missingDialog)
