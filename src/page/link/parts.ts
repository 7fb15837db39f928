// Imported here too, so that the first view is in one file: in two, it would be 2 kB more.
import './link-page.tsx'
import { FilePreview } from './file-preview.tsx'
import { PreviewDialog } from './preview-dialog.tsx'

/** The components that are not in the first view of the page. */
export const parts = {
  FilePreview, PreviewDialog
}
