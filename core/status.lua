-- status: who holds it, or held it last. It takes no arguments and writes nothing.
return reply('status')
