from aiohttp import web


def serving(operations):
    async def serve(request):
        return web.Response()

    return serve
