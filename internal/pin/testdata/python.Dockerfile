FROM python:3.12-slim
ENV PIP_NO_CACHE_DIR=1 REQ=requests
COPY . /src
RUN python3 -m pip install --upgrade --no-cache-dir pip setuptools && /opt/venv/bin/pip3.12 install -U requests==2.32.3
RUN pip install $REQ~=2.0 "requests[socks]" 'ruamel_yaml' "requests>=2; python_version<'3.13'" requests==2.* requests===2.32.3
RUN pip install -r requirements.txt --require-hashes && pip install --no-index --find-links=/wheels -r requirements.txt && pip install -c constraints.txt requests
RUN pip install . && pip install --no-deps . && pip install -e /src[dev] && pip install /wheels/*.whl
RUN pip install git+https://user:token@example.com/a/b.git@main#egg=b git+https://example.com/a/b@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa \
    https://example.com/x-1.0.whl https://example.com/y-1.0.whl#sha256=abc "z @ git+https://example.com/z" "q @ https://example.com/q.zip#sha256=1"
RUN pip install "requests >=2, <3" requests\>=2 foo==$(cat version) bar==${BAR} ${PACKAGES}
RUN uv pip install --system requests -r requirements.in && uv tool install ruff@0.5.0 && uvx black && uv sync && uv sync --frozen && uvx --from requests==2.32.3 x
RUN pipx install poetry && pipx run cowsay==6.0 && pipx inject poetry requests
RUN poetry install --no-root && poetry update && pipenv install --deploy && pipenv install && pipenv sync
RUN conda install -y -c conda-forge numpy=1.26 scipy==1.13.0 pandas=2.2.2=py312h526ad5a_0 && mamba env create -f environment.yml
RUN python setup.py install && python -c 'import requests' && pip list && pip uninstall -y requests
