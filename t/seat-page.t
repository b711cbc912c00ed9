# The seat page in a real browser, over nginx with the module, Redis, the worker
# and MariaDB: live, with seats found and standing places, in halls small and
# large, and when answers are lost.  The scenarios are in t/browser.

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

# Every host name has a room instance of its own, and this performance.
my %SHOW = (live => 1, offers => 2, lost => 3, polling => 4, large => 5, soon => 6, hangul => 7, hidden => 8);

my $port   = free_port();
my $redis  = Ticket::Redis->new(dir => temp_dir());
my $db     = Ticket::MariaDB->new(dir => temp_dir());
my $keys   = Ticket::Nginx::keys_file();
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db, token_keys => $keys, redis => {socket => $redis->socket});

sub add_show {
    my ($name, %hall) = @_;
    $db->add_hall(id => $SHOW{$name}, room => "hall:$name.localhost", seat_name => sub { "$_[0]-$_[1]-$_[2]" }, %hall);
    return;
}

my @SMALL = (sections => [{name => 'Hall', rows => 3, seats_per_row => 10}], seat_name => sub { ('', 'A' .. 'Z')[$_[1]] . "-$_[2]" });
add_show('live', @SMALL, ttl_ms => 60_000, pools => [{name => 'floor', capacity => 20, buckets => 2}]);
add_show('lost', @SMALL, ttl_ms => 60_000);
add_show('polling', @SMALL);
add_show('hidden', @SMALL);
add_show('hangul', @SMALL, pools => [{name => 'floor', capacity => 20}]);
add_show('soon', @SMALL, sale_opens_at => 'UTC_TIMESTAMP(3) + INTERVAL 1 DAY');
add_show('offers', max_per_user => 3, pools => [{name => 'floor', capacity => 3}],
    sections => [{name => 'Front', rows => 1, seats_per_row => 3, tier => 'gold'}, {name => 'Back', rows => 2, seats_per_row => 10}]);
add_show('large', sections => [map { {name => $_, rows => 40, seats_per_row => 50, tier => $_} } qw(North East South West)]);

my $nginx = Ticket::Nginx->new(redis => $redis, http => configuration());

# The policy and the stream's settings are those of the demonstration.
sub configuration {
    my $web = root_dir() . '/web';
    my $target = $worker->target;
    my ($policy) = slurp(root_dir() . '/conf/demo/nginx.conf') =~ /^\s*(add_header Content-Security-Policy .*)$/m;
    my $shows = join '', map { " $_.localhost $SHOW{$_};" } sort keys %SHOW;
    return <<"END";
    include      /etc/nginx/mime.types;
    charset      utf-8;
    ticket_redis unix:%%REDIS%%;
    ticket_zone  rooms:8m;
    ticket_keys  %%KEYS%%;
    ticket_room  hall { slots 20; session 5m; claim 1m; liveness 1m; }
    map \$http_accept_language \$ticket_lang { default en; ~*^ko ko; }
    map \$host \$show { $shows }
    upstream worker { server $target; }
    server {
        listen unix:%%SOCK%%;
        listen 127.0.0.1:$port;
        root   $web;
        $policy
        location = / {
            ticket_gate hall:\$host queue=/queue page=/_ticket/waiting.\$ticket_lang.html;
            try_files   /seats.\$ticket_lang.html =404;
        }
        location /_ticket/ { internal; ssi on; alias $web/; }
        location /static/  { alias $web/; }
        location = /queue  { ticket_queue hall:\$host; }
        location /buy/ {
            ticket_gate      hall:\$host queue=/queue;
            proxy_set_header X-Ticket-Pass \$ticket_pass;
            proxy_buffering  off;
            rewrite          ^/buy/v1/performances/1/(?!map/)(.*)\$ /v1/performances/\$show/\$1 break;
            rewrite          ^/buy/v1/performances/1\$ /v1/performances/\$show break;
            rewrite          ^/buy/(.*)\$ /\$1 break;
            proxy_pass       http://worker;
        }
    }
END
}

# Scenarios stop the worker.
$nginx->expect_log(qr/connect\(\) to unix:\S+ failed/);

# What a scenario may ask for.
my %COMMAND = (
    stop  => sub { $worker->stop },
    start => sub { $worker->start },
    open  => sub { $db->do("UPDATE performance SET sale_opens_at = UTC_TIMESTAMP(3) + INTERVAL 2 SECOND WHERE id = $SHOW{soon}") },
    close => sub { $db->do("UPDATE performance SET sale_closes_at = UTC_TIMESTAMP(3) WHERE id = $SHOW{soon}") },
    lapse => sub {
        $db->do("START TRANSACTION;
                 UPDATE seat SET expires_at = UTC_TIMESTAMP(3), version = version + 1
                 WHERE performance_id = $SHOW{live} AND state = 'held';
                 UPDATE hold SET expires_at = UTC_TIMESTAMP(3) WHERE performance_id = $SHOW{live} AND state = 'active';
                 COMMIT");
    },
);

for my $name (qw(live offers lost polling hidden large soon hangul)) {
    subtest $name => sub { play($name, $port, %COMMAND) };
}

done_testing;
