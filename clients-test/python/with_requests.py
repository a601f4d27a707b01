"""requests: methods, a body of a megabyte, and a form with a file."""
import json
import os

import requests

base = os.environ['BASE_URL']
session = requests.Session()
session.headers['authorization'] = f'Bearer {os.environ["API_KEY"]}'
large = os.environ['QUESTION'].encode() * 30000
echo = session.put(f'{base}/echo', data=large)
empty = session.delete(f'{base}/echo')
form = session.post(f'{base}/v1/files', files={'file': ('notes.txt', large)}, data={'purpose': 'assistants'})
print(json.dumps({'same': echo.content == large, 'method': echo.headers['x-method'], 'authorization': echo.headers['x-authorization'],
                  'empty': [empty.status_code, len(empty.content)], 'file': [form.json()['bytes'], form.json()['filename']]}))
