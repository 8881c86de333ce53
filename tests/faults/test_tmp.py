import time
from tests.faults.test_audit import *
async def test_time(books):
    t=[0,0,0]
    for b in BREACHES[:20]:
        a=time.perf_counter(); d=await books.with_breach(b); c=time.perf_counter(); await audit(d, ORIGIN, wait_seconds=0); e=time.perf_counter(); await books.drop(d); f=time.perf_counter()
        t[0]+=c-a; t[1]+=e-c; t[2]+=f-e
    print("plant audit drop", [x/20 for x in t])
