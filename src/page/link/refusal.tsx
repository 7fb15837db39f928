import { MagicStoreError } from 'magicstore'
import { frameTexts } from '../frame-texts.ts'
import { wordsOf, type ProblemWords } from '../problem-words.ts'
import { FileUnreadable } from '../uploads/obstacles.ts'
import { texts } from './texts.ts'

/** Why something failed, in words. */
export function describe (error: unknown): ProblemWords {
  if (error instanceof FileUnreadable) return { title: texts.request.unreadable }
  if (!(error instanceof MagicStoreError)) return { title: frameTexts.networkProblem }
  const words = wordsOf(error)
  switch (error.code) {
    case 'not_found': return { title: texts.dead }
    case 'link_password_wrong': return { title: texts.password.wrong }
    case 'too_many_passwords': return { ...words, title: texts.password.tooMany }
    case 'link_limit_reached': return { ...words, title: texts.request.noRoom }
    case 'quota_exceeded': return { title: texts.request.ownerFull }
    case 'name_invalid': return { title: words.title, detail: texts.request.nameHint }
    default: return words
  }
}

/** Shows an error next to what caused it, and announces it. */
export function Refusal ({ error, id }: { error: unknown, id?: string }) {
  const words = error === undefined ? undefined : describe(error)
  return (
    <div class='problem' role='alert' id={id}>
      {words !== undefined &&
        <p><strong>{words.title}</strong>{words.detail !== undefined && <> <span>{words.detail}</span></>}</p>}
    </div>
  )
}
