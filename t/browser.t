# The pages in a real browser, over nginx with the module, Redis, the worker
# and MariaDB.  The scenarios in t/browser drive Chromium and report line by
# line (see visit.js); here are the servers, and what a scenario asks of them.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::MariaDB;
use Ticket::Nginx;
use Ticket::Redis;
use Ticket::Worker;
use IO::Socket::INET;
use IPC::Open2;

my @SCENARIOS = qw(line away plain refused korean);

my $port   = free_port();
my $redis  = Ticket::Redis->new(dir => temp_dir());
my $db     = Ticket::MariaDB->new(dir => temp_dir());
my $keys   = Ticket::Nginx::keys_file();
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db, token_keys => $keys);
$db->add_performance(1, 'hall:line.localhost', 60_000, map { my $row = $_; map { "$row-$_" } 1 .. 20 } qw(A B C));
my $nginx = Ticket::Nginx->new(redis => $redis, http => configuration());

sub free_port {
    my $probe = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "no free port: $!\n";
    return $probe->sockport;
}

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
    server {
        listen unix:%%SOCK%%;
        listen 127.0.0.1:$port;
        root   $web;
        add_header Content-Security-Policy "default-src 'self'; base-uri 'none'; frame-ancestors 'none'" always;
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

sub play {
    my ($name) = @_;
    my $pid = open2(my $from, my $to, 'node', "$FindBin::Bin/browser/$name.js", $port);
    my $checks = 0;
    while (my $line = <$from>) {
        chomp $line;
        if ($line =~ /^(not )?ok (.*)/) {
            ok(!$1, $2);
            $checks++;
        }
        elsif ($line =~ /^do (\w+)$/ && $COMMAND{$1}) {
            my $answer = eval { $COMMAND{$1}->(); 'done' } // $@;
            syswrite $to, $answer =~ s/\n//gr . "\n";
        }
        else {
            diag $line =~ s/^# //r;
        }
    }
    waitpid $pid, 0;
    is($?, 0, 'the browser came to its end');
    cmp_ok($checks, '>', 4, 'and checks were made');
    return;
}

$SIG{PIPE} = 'IGNORE';
for my $name (@SCENARIOS) {
    subtest $name => sub { play($name) };
}

done_testing;
