# The pages in a real browser, over nginx with the module, Redis, the worker
# and MariaDB.  The scenarios in t/browser drive Chromium and report line by
# line (see visit.js); here are the servers, and what a scenario asks of them.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Browser qw(free_port play);
use Ticket::MariaDB;
use Ticket::Nginx;
use Ticket::Redis;
use Ticket::Worker;

my @SCENARIOS = qw(line away plain refused korean);

my $port   = free_port();
my $redis  = Ticket::Redis->new(dir => temp_dir());
my $db     = Ticket::MariaDB->new(dir => temp_dir());
my $keys   = Ticket::Nginx::keys_file();
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db, token_keys => $keys);
$db->add_performance(1, 'hall:line.localhost', 60_000, map { my $row = $_; map { "$row-$_" } 1 .. 20 } qw(A B C));
my $nginx = Ticket::Nginx->new(redis => $redis, http => configuration());

# Every host name has a room instance of its own.
sub configuration {
    my $web = root_dir() . '/web';
    my $target = $worker->target;
    return <<"END";
    include      /etc/nginx/mime.types;
    charset      utf-8;
    ticket_redis unix:%%REDIS%%;
    ticket_zone  rooms:8m;
    ticket_keys  %%KEYS%%;
    ticket_room  hall { slots 2; session 5m; claim 1m; liveness 1m; }
    map \$http_accept_language \$ticket_lang { default en; ~*^ko ko; }
    upstream worker { server $target; }
    limit_req_zone \$http_user_agent zone=plain:1m rate=1r/m;
    server {
        listen unix:%%SOCK%%;
        listen 127.0.0.1:$port;
        root   $web;
        add_header Content-Security-Policy "default-src 'self'; base-uri 'none'; frame-ancestors 'none'" always;
        location = / {
            ticket_gate hall:\$host queue=/queue page=/_ticket/waiting.\$ticket_lang.html;
            try_files   /seats.\$ticket_lang.html =404;
        }
        location = /plain {
            limit_req zone=plain;
            try_files /none \@plain;
        }
        location \@plain {
            set         \$ticket_back_url /;
            ticket_gate hall:\$host queue=/queue page=/_ticket/waiting.\$ticket_lang.html;
            try_files   /seats.\$ticket_lang.html =404;
        }
        location /_ticket/ { internal; ssi on; alias $web/; }
        location /static/  { alias $web/; }
        location = /queue  { ticket_queue hall:\$host; }
        location /buy/ {
            ticket_gate      hall:\$host queue=/queue;
            proxy_set_header X-Ticket-Pass \$ticket_pass;
            proxy_pass       http://worker/;
        }
    }
END
}

# What a scenario may ask for.
my %COMMAND = (
    stop  => sub { $nginx->stop },
    start => sub { $nginx->start },
);

for my $name (@SCENARIOS) {
    subtest $name => sub { play($name, $port, %COMMAND) };
}

done_testing;
