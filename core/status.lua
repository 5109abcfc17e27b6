-- status: who holds it, or held it last. core/read.go answers the same without a script where it can.
return reply('status')
