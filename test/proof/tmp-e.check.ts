import './page/docs.ts'
