import { useEffect, useState } from 'preact/hooks'
import { countFiles } from '../kept.ts'
import { Question } from '../question.tsx'
import { signOut } from '../session.ts'
import { session, usernameOf } from '../session-state.ts'
import { texts } from '../later-texts.ts'
import { isUnsent, uploads } from '../uploads/upload-list.ts'

/** Asks before files that are not uploaded yet are lost by signing out. */
export function LeaveQuestion ({ onClose }: { onClose: () => void }) {
  const [count, setCount] = useState(uploads.peek().filter(isUnsent).length)
  // Other windows can have more.
  useEffect(() => {
    void countFiles(usernameOf(session.peek())).then(kept => setCount(listed => Math.max(listed, kept)))
  }, [])
  const { title, text } = texts.offline.leave
  return (
    <Question title={title} label={texts.sign.out} action={signOut} onClose={onClose}>
      <p>{text(count)}</p>
    </Question>
  )
}
