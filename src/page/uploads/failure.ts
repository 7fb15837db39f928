import { describe } from '../problem.tsx'
import { texts } from '../texts.ts'
import { EndedElsewhere, FileUnreadable, ImpossibleName, UploadedElsewhere } from './obstacles.ts'

interface FailureText { readonly title: string, readonly detail?: string | undefined }

/** Why an upload failed, in words. */
export function failureText (error: unknown): FailureText {
  if (error instanceof FileUnreadable) {
    return { title: texts.uploads.fileUnreadable, detail: texts.uploads.fileUnreadableDetail }
  }
  if (error instanceof UploadedElsewhere) {
    return { title: texts.uploads.elsewhere, detail: texts.uploads.elsewhereDetail }
  }
  if (error instanceof EndedElsewhere) return { title: texts.uploads.ended, detail: texts.uploads.endedDetail }
  if (error instanceof ImpossibleName) return { title: texts.uploads.nameImpossible }
  return describe(error) ?? { title: texts.networkProblem }
}
