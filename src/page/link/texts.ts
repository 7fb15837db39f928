import { visibleName } from '../visible-name.ts'

/** The texts of the page of a link, besides `frameTexts`. A translation is another object of this shape. */
export const texts = {
  dead: 'This link does not exist or has ended.',
  deadHint: 'Ask the person who sent it to you for another one.',
  sharedBy: (owner: string) => `Shared by ${visibleName(owner)}`,
  requestedBy: (owner: string) => `Requested by ${visibleName(owner)}`,
  until: (time: string) => `Until ${time}`,
  folder: 'Folder',
  download: 'Download',
  downloadOf: (name: string) => `Download ${visibleName(name)}`,
  downloadFailed: (name: string) => `Download failed: ${visibleName(name)}.`,
  gone: 'It is no longer there.',
  preview: 'Preview',
  brokenPreview: 'The browser can’t show this file.',
  path: 'Path of the folder',
  columns: { name: 'Name', size: 'Size', changed: 'Changed', actions: 'Actions' },
  emptyFolder: 'This folder is empty',
  missingFolder: 'There is no folder of this name',
  missingFolderHint: 'It may have been renamed, moved or deleted.',
  toTop: 'Show all that is shared',
  password: {
    title: 'This link needs a password',
    hint: 'Ask the person who sent you the link.',
    label: 'Password',
    submit: 'Open the link',
    wrong: 'This password is wrong.',
    tooMany: 'Too many wrong passwords.'
  },
  request: {
    title: 'Send files to',
    hint: 'Drop files here, paste them, or choose them. Only the owner of the link can see what you send.',
    choose: 'Choose files',
    dropHere: 'Drop files to send them',
    left: (files: string, bytes: string) =>
      `Room for ${files === '1' ? '1 more file' : `${files} more files`} and ${bytes}`,
    noRoom: 'There is no room for this file.',
    full: 'This link accepts no more files.',
    foldersLeftOut: 'Folders can’t be sent. Choose the files in them.',
    list: 'Your files',
    summary: (sent: string, all: string) => all === '1' ? `${sent} of 1 file sent` : `${sent} of ${all} files sent`,
    failed: (count: string) => `${count} failed`,
    waiting: 'Waiting',
    sent: (size: string) => `Sent, ${size}`,
    running: (done: string, all: string) => `${done} of ${all}`,
    progressOf: (name: string) => `Progress of ${visibleName(name)}`,
    finishing: 'Finishing…',
    speed: (speed: string) => `${speed}/s`,
    timeLeft: (time: string) => `${time} left`,
    interrupted: (why: string) => `${why.replace(/[.]$/, '')}. This file continues by itself.`,
    cancel: (name: string) => `Cancel ${visibleName(name)}`,
    dismiss: (name: string) => `Remove ${visibleName(name)} from the list`,
    again: 'Try again',
    tryAgain: (name: string) => `Try again: ${visibleName(name)}`,
    unreadable: 'The file can no longer be read. It was changed, moved or deleted: choose it again.',
    nameHint: 'Rename the file, then choose it again.'
  }
} as const
