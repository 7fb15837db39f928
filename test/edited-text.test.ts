import t from 'tap'
import { editableOf, withEnds } from '../src/page/files/edited-text.ts'

const changed = (bytes: string, change: (text: string) => string) => {
  const text = editableOf(Buffer.from(bytes))!
  return withEnds(change(text.text), text)
}

t.test('the byte order mark and the ends of lines stay, whatever they are', t => {
  for (const bytes of ['', 'a', 'a\n', 'a\r\nb\r\n', '\uFEFFa\nb', 'a\r\nb\nc\rd', '\r\n\r\n\n']) t.equal(changed(bytes, text => text), bytes, JSON.stringify(bytes))
  t.equal(changed('\uFEFFa\r\nb\r\n', text => `${text}c\n`), '\uFEFFa\r\nb\r\nc\r\n', 'a new line has the usual end')
  t.equal(changed('a\r\nb\nc\nd', text => text.replace('c', 'C\nnew')), 'a\r\nb\nC\nnew\nd')
  t.equal(changed('a\r\nb\nc\r\nd', text => text.replace('b\n', '')), 'a\r\nc\r\nd', 'a line is gone')
  t.equal(changed('a\r\na\r\n', () => 'a\na\na\na'), 'a\r\na\r\na\r\na', 'lines that are the same')
  t.equal(changed('a\r\nb', () => ''), '')
  t.end()
})

t.test('what is no text in UTF-8 can\'t be changed', t => {
  for (const bytes of ['ff', 'fffe6100', 'c3', 'eda080', '610062']) t.equal(editableOf(Buffer.from(bytes, 'hex')), undefined, bytes)
  t.end()
})
